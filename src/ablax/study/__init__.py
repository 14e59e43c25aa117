"""An experiment under a recipe, from the plan to its folder of results."""
