"""What a profile changes of the course's protocol, in words: title page, limits, references."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eurosat_lib.config import Config, load_config
from eurosat_lib.french import liste, nombre

NAMES = {"quick": "rapide"}  # a profile without a French name keeps its own
SYNTHETIC = (
    "**Données synthétiques de démonstration.** Les images de ce rapport sont dessinées par "
    "programme ; ce ne sont pas des images Sentinel-2, et les résultats ne disent rien d’EuroSAT."
)


@dataclass(frozen=True)
class Cuts:
    """How a run departs from the protocol; each entry is a French phrase with both values.

    Attributes:
        network: images and network.
        searches: the trials that choose the hyperparameters.
        final: the final training.
    """

    network: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    final: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[str, ...]:
        """What makes its scores others than the protocol's, whatever the searches chose."""
        return self.network + self.final


def profile_cuts(config: Config) -> Cuts:
    """Compare a run with the protocol: ``configs/config.yaml`` with the profile ``full``.

    Args:
        config: of the run, parameters applied. With the profile ``full`` nothing is cut: what
            a parameter changes is named as such elsewhere.
    """
    if config.profile == "full":
        return Cuts()
    whole = load_config(Path(config.paths.root) / "configs" / "config.yaml", "full")
    return Cuts(_network(config, whole), _searches(config, whole), _final(config, whole))


def profile_name(profile: str) -> str:
    """Return the profile as it is called in the report: ``quick`` → ``profil rapide``."""
    return f"profil {NAMES.get(profile, profile)}"


def banners(profile: str, synthetic: bool, cuts: Cuts | None = None) -> list[str]:
    """Return the warnings of the title page, Markdown; none for the protocol on real images.

    Args:
        profile: ``full``, ``quick`` …
        synthetic: no real image was used.
        cuts: what the run cuts; ``None``: not known, which is then left out.
    """
    found = [SYNTHETIC] if synthetic else []
    if profile == "full":
        return found
    name = f"**{profile_name(profile).capitalize()}.**"
    if cuts is None:
        return [*found, f"{name} Ces valeurs ne sont pas celles du protocole complet."]
    if cuts.scores:
        changed = liste((*cuts.scores, *cuts.searches))
        text = f"{name} Le calcul est réduit : {changed}. "
        return [
            *found,
            text
            + "Les valeurs illustrent la démarche ; ce ne sont pas celles du protocole complet.",
        ]
    if cuts.searches:
        text = (
            f"{name} Images, réseau et entraînement final sont ceux du protocole complet ; seules "
            f"les recherches d’hyperparamètres sont écourtées : {liste(cuts.searches)}. Elles ne "
            "classent donc que des débuts d’entraînement."
        )
        return [*found, text]
    return found


def _network(config: Config, whole: Config) -> tuple[str, ...]:
    phrases = []
    size, full = config.data.image_size, whole.data.image_size
    if size != full:
        phrases.append(f"images de {size} pixels de côté au lieu de {full}")
    channels, full = config.model.channels, whole.model.channels
    if channels != full:
        phrases.append(f"étages de {liste(channels)} canaux au lieu de {liste(full)}")
    if config.data.train_limit != whole.data.train_limit:
        phrases.append(f"{_images(config.data.train_limit)} d’entraînement")
    return tuple(phrases)


def _searches(config: Config, whole: Config) -> tuple[str, ...]:
    phrases = []
    ours, theirs = _trials(config), _trials(whole)
    if ours != theirs:
        phrases.append(f"essais de {' puis '.join(ours)} au lieu de {' puis '.join(theirs)}")
    count, full = config.finalists.count, whole.finalists.count
    if count != full:
        phrases.append(f"{count} finalistes au lieu de {full}")
    return tuple(phrases)


def _trials(config: Config) -> list[str]:
    """Say how long the trials of both grids are; once if they are alike."""
    kinds = [
        f"{_epochs(grid.epochs)} sur {_images(grid.train_limit)}"
        for grid in (config.grid, config.refined_grid)
    ]
    return list(dict.fromkeys(kinds))


def _final(config: Config, whole: Config) -> tuple[str, ...]:
    phrases = []
    epochs, full = config.train.max_epochs, whole.train.max_epochs
    if epochs != full:
        phrases.append(f"entraînement final de {_epochs(epochs)} au lieu de {full}")
    steps = config.train.max_steps
    if steps is not None and steps != whole.train.max_steps:
        phrases.append(f"entraînement final arrêté à {nombre(steps)} pas au plus")
    return tuple(phrases)


def _epochs(count: int) -> str:
    return f"{count} époque{'s' if count > 1 else ''}"


def _images(limit: int | None) -> str:
    return "toutes les images" if limit is None else f"{nombre(limit)} images"
