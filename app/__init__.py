"""The screens: how people see the tower."""
