"""The commands of robotrain, one module each, imported when the command is used."""
