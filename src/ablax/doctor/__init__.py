"""Diagnose training: checks of a network that does not learn, each giving a `Finding`.

After the last slides of the lecture on architectures ("Debugging hints", "When it does not work").
A check measures, compares with a stated criterion, and says healthy, problem or inconclusive. The
doctor stands above everything it examines: it trains for a short while, and changes nothing.
"""
