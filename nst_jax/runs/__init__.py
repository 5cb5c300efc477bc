"""What runs over pixels and trainings share: reports, interrupts, compile time, records."""
