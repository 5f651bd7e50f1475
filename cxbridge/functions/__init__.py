"""What recipes can ask beyond the language: calendars, survey figures, health, similarity, sentiment; pure, reads no store."""
