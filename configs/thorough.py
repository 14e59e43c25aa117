"""Thorough: digits with up to 24 seeds, for what is kept; half an hour and more on 2 cores.

An experiment that says nothing of it has its budget for `digits` here, with all the seeds.
"""

from dataclasses import replace

from ablax.study.discovery import recipe

RECIPE = replace(recipe("digits")[1], most_seeds=24)
