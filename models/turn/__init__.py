"""End of turn: models that say whether a pause ends what somebody wanted to say."""
