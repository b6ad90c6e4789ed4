"""How well a recogniser hears: clips with known words, sent down a telephone line, heard as a call hears, compared."""
