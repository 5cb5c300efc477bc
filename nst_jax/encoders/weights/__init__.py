"""Where pretrained weights come from: found, fetched, converted, checked, normalised."""
