"""The recipe of the bundled model: `make model`. Needs the packages of the extra `training`; nothing in a call does."""
