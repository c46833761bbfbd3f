"""Fetching data sets from where they were published."""
