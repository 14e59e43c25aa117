"""A network drawn as data flows through it: one page of HTML that needs nothing beside it."""
