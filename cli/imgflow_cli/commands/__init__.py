"""One module per command or small group of commands, each imported when it is used."""
