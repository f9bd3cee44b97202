"""The door for machines: facts in, figures and health out, over HTTP."""
