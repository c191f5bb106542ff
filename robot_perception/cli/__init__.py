"""``robot-perception VERB``: one file per verb, which only parses flags and prints."""
