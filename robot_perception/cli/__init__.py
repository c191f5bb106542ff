"""`robot-perception VERB`: one file for each verb, flags only; the work is done elsewhere."""
