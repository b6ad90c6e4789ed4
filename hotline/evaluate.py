"""`hotline evaluate …`: how well the hotline hears, drafts and knows when a caller has finished. Measured, never guessed.

Each verb lives in a file of its own, `hotline/evaluate_*.py`, with its command as a function; here they get their names.
"""

from __future__ import annotations

import typer

from hotline.evaluate_drafts import drafts
from hotline.evaluate_endpointing import endpointing
from hotline.evaluate_speech import speech
from hotline.evaluate_vocabulary import vocabulary

evaluate_app = typer.Typer(help="Measure how well it hears, drafts and waits.", no_args_is_help=True)
evaluate_app.command("speech")(speech)
evaluate_app.command("drafts")(drafts)
evaluate_app.command("endpointing")(endpointing)
evaluate_app.command("vocabulary")(vocabulary)
