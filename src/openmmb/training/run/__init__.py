"""The run that trains: it knows updates, saves and logs, not what is learnt."""
