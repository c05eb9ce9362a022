"""Recipes: the network of the protocol trained in other ways."""

from eurosat_lib.recipe.ablation import Ablation, AblationRow
from eurosat_lib.recipe.fit import fit_recipe
from eurosat_lib.recipe.records import (
    RecipeFit,
    RecipeRun,
    Recipes,
    RecipeTrial,
    beside_protocol,
)
from eurosat_lib.recipe.task import recipe_config
from eurosat_lib.recipe.views import SymmetricAverage, evaluate_views

__all__ = [
    "Ablation",
    "AblationRow",
    "RecipeFit",
    "RecipeRun",
    "RecipeTrial",
    "Recipes",
    "SymmetricAverage",
    "beside_protocol",
    "evaluate_views",
    "fit_recipe",
    "recipe_config",
]
