"""A small plugin of each kind, which `dimecli.scaffold.new` copies with its name in place of `example`."""
