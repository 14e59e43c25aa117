"""Thorough: digits with up to 24 seeds also where `digits` stops earlier; half an hour and more.

An experiment that says nothing of it has its budget for `digits` here, with all the seeds.
"""

from dataclasses import replace
from pathlib import Path
from runpy import run_path

DIGITS = run_path(str(Path(__file__).with_name("digits.py")))["RECIPE"]
RECIPE = replace(DIGITS, most_seeds=24)
