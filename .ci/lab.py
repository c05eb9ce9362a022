"""JupyterLab under ``make lab``: where it opens, and notebooks that stay clean in git."""


def keep_clean(model, path, **_):
    """Save a notebook of the project without outputs, counts and what an editor adds."""
    if model["type"] != "notebook" or not path.startswith("notebooks/"):
        return
    notebook = model["content"]
    for cell in notebook["cells"]:
        kept = ("tags", "jupyter")
        cell["metadata"] = {key: cell["metadata"][key] for key in kept if key in cell["metadata"]}
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}


c = get_config()  # noqa: F821
c.FileContentsManager.pre_save_hook = keep_clean
c.LabApp.default_url = "/lab/tree/notebooks/accueil.ipynb"
