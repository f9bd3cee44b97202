"""The subcommands of ``tower``, by what a person wants: ask, bring data in, keep house."""
