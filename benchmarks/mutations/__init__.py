"""Wrong backwards, on purpose: what `cr.check` finds of them, what it calls them, and how often it cries wolf."""
