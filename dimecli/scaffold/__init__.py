"""New distributions with a plugin that works: `dime plugins new KIND NAME`."""
