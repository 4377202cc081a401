"""The verbs of the command line: each module says which options a verb has (`add`) and what it does (`run`)."""
