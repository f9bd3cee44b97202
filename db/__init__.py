"""How facts are kept and asked for. The only room that speaks SQL to our database."""
