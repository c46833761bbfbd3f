"""What a reply run learns, and the recipe that says so."""
