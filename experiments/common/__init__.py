"""What experiments share: sheets, records, runs, pictures and options."""
