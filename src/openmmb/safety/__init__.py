"""What is said to the bot and by the bot, judged."""
