"""Thorough: digits with up to 24 seeds also where `digits` stops earlier; half an hour and more.

An experiment that says nothing of it has its budget for `digits` here, with all the seeds.
"""

from dataclasses import replace

from ablax.study.discovery import recipe

RECIPE = replace(recipe("digits")[1], most_seeds=24)
