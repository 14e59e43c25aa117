"""What ails a network that does not learn: one check a file, each giving a `Finding`.

After the last slides of the lecture on architectures ("Debugging hints", "When it does not work").
A check measures, compares with a stated law, and says healthy, sick or cannot be told. The doctor
stands above everything it examines: it trains for a short while, and changes nothing.
"""
