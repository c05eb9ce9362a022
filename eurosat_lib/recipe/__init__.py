"""Recipes: the network of the protocol trained in other ways."""

from eurosat_lib.recipe.fit import fit_recipe
from eurosat_lib.recipe.records import Ablation, AblationRow, RecipeFit, RecipeRun, Recipes
from eurosat_lib.recipe.task import recipe_config
from eurosat_lib.recipe.views import SymmetricAverage, evaluate_views

__all__ = [
    "Ablation",
    "AblationRow",
    "RecipeFit",
    "RecipeRun",
    "Recipes",
    "SymmetricAverage",
    "evaluate_views",
    "fit_recipe",
    "recipe_config",
]
