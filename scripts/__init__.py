"""Floor 4, the command `syndrift`: one file a verb, reports and pictures."""
