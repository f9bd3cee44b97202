"""Components of our own: plain scripts, text set as text, colours from the theme, no build step."""
