"""Answers of notebooks 01 to 03: what they say follows from the facts, whichever they are."""

import re
from pathlib import Path

import pytest
from answer_facts import (
    EVEN,
    architecture,
    audit,
    baselines,
    initial,
    overfit,
    overlaps,
    pipeline,
    sanity,
    shuffled,
)
from handmade import overlap, tile

from eurosat_lib.config import load_config
from eurosat_lib.report.answers import context_of, render

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = ROOT / "reports" / "answers"
NAMES = ["S0", "S1.1", "S1.2", "S1.3", "S1.4", *(f"D{i}" for i in range(1, 12)), "S2.1", "M0"]
NAMES += ["S2.2", "M1", "S2.3", "M2", "S3", "M3"]
ENVIRONMENT = {"python": "3.11.7", "torch": "2.9.0", "cuda": ""}
IDENTITY = {"author": "Ada L.", "title": "EuroSAT", "repository": "", "profile": "full"}
HUB = {"source_kind": "hub", "source_location": "timm/eurosat-rgb@b4e2855"}
HUB |= {"source_revision": "b4e28552cd5f"}
SYNTHETIC = {"source_kind": "synthetic", "source_location": "synthetic"}
SKEWED = EVEN | {"train": (60,) * 9 + (20,)}
UNEVEN = EVEN | {"train": (78,) + (60,) * 8 + (50,)}
# What may stand in the prose as a figure: names, units, ranges of a type, sections.
ALLOWED = re.compile(
    r"2019|Sentinel-2|L1C|10\sm\b|de 0 à 2750|255|\[0, 1\]|\[0,|SHA-256|uint8|float32|3×3|2×2|F1"
    r"|2d\b|Pool2d\(1\)|_stage3|les 2 à|sections?\s\d[\d.]*|[=≠] 0\b|\$[^$]*\$|log\(1/"
)


def say(name: str, changes: dict | None = None, *, profile="full", values=None, **facts) -> str:
    """Render an answer as the notebooks do; other facts by kind of result."""
    config = load_config(ROOT / "configs" / "config.yaml", profile, values).model_dump()
    a, p = facts.get("audit") or audit(), facts.get("pipeline") or pipeline()
    i, o = facts.get("initial") or initial(), facts.get("overfit") or overfit()
    s, t = facts.get("shuffled") or shuffled(), facts.get("sanity") or sanity()
    b, net = facts.get("baselines") or baselines(), facts.get("network") or architecture()
    extra = {
        "config": config,
        "given": {},
        "pixels": 4,
        "limit": 3.0,
        "separated": False,
        "environment": ENVIRONMENT,
    }
    extra |= {"device": "CPU", "gradients": [g.model_dump() for g in i.gradients]}
    first = {"M0": b, "S2.1": b, "S2.2": net, "M1": net, "S2.3": i, "M2": i}
    first |= {"S3": o, "M3": o} | dict.fromkeys(("D6", "D7", "D8", "D11"), p)
    identity = IDENTITY | {"synthetic": a.source_kind == "synthetic"} if name == "S0" else {}
    looked = facts.get("overlaps") or overlaps()
    results = (first.get(name, a), a, p, b, net, i, o, s, t, looked)
    text = render(name, context_of(results, extra | identity | (changes or {})), ANSWERS)
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [{}, HUB, SYNTHETIC], ids=["folder", "hub", "synthetic"])
def test_every_answer_renders(name, kind):
    assert len(say(name, audit=audit(**kind))) > 60


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_is_typed_by_hand(name):
    text = (ANSWERS / f"{name}.md").read_text(encoding="utf-8")
    prose = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.S)
    prose = re.sub(r"^\d\. ", "", prose, flags=re.M)
    found = re.search(r".{0,30}\d.{0,20}", ALLOWED.sub("", prose))
    assert not found, found[0]


@pytest.mark.parametrize("name", ["D1", "D2", "D3", "D5", "S1.1"])
def test_synthetic_images_are_never_called_sentinel(name):
    drawn = say(name, audit=audit(**SYNTHETIC))
    assert "données synthétiques de démonstration" in drawn and "Sentinel" not in drawn
    assert "synthétiques" not in say(name)


LEAK = overlap(tile(0), tile(1, "test"), 0.95)
SHIFTED = EVEN | {"test": (60, 2, 2) + (20,) * 7}
CENTRED_RIVER = (0.0,) * 8 + (-0.3, 0.0)
D9_STRONG = {"augment.brightness": 0.5}
FEW = pipeline(used={"train": 100, "validation": 50, "test": 50})
CENTRED = pipeline(value_mean=(0.01, 0.0, -0.02), value_sd=(1.0, 0.99, 1.02))
TIED = shuffled(true=(0.1, 0.05, 0.3, 0.4, 0.45))
CASES = [  # answer, facts, what it says then, facts that turn it, what it says then
    ("S0", {}, "non renseigné", {"changes": {"repository": "https://x.org/y"}}, "<https://x.org"),
    ("S0", {}, "artifacts/best", {"values": {"paths.name": "essai"}}, "artifacts/essai/best"),
    ("S1.1", {}, "dossier local `tuiles`", {"audit": audit(**HUB)}, "révision `b4e28552"),
    ("S1.3", {}, "déjà cette taille", {"profile": "quick"}, "(32, 32), depuis 64 × 64"),
    ("S1.3", {}, "ImageNet", {"values": {"preprocess.mean": [0.3, 0.4, 0.4]}}, "[0.3, 0.4, 0.4]"),
    ("S1.4", {}, "padding = 4", {"values": {"augment.crop_padding": 0}}, "désactivé (padding"),
    ("D1", {}, "dossier local", {"audit": audit(**HUB)}, "révision `b4e2855`"),
    ("D2", {}, "les utilisons toutes", {"pipeline": FEW}, "n’en retient que 100, 50 et 50"),
    ("D3", {}, "équilibrés entre classes", {"audit": audit(counts=UNEVEN)}, "pas stratifiés"),
    (
        "D3",
        {},
        "ce ne sont pas les listes publiées",
        {"audit": audit(published_lists=True)},
        "vérifiés un à un",
    ),
    ("D3", {}, "score de test optimiste", {"audit": audit(**SYNTHETIC)}, "n’existe pas ici"),
    ("D4", {}, "**équilibrées**", {"audit": audit(counts=UNEVEN)}, "**modéré**"),
    ("D4", {"audit": audit(counts=UNEVEN)}, "1,56", {"audit": audit(counts=SKEWED)}, "**fort**"),
    (
        "D5",
        {},
        "aucune image n’a exactement",
        {"audit": audit(duplicates=3)},
        "3 images en double",
    ),
    ("D5", {}, "Rien n’impose", {"audit": audit(duplicates=1, duplicates_across=1)}, "fuite dir"),
    ("D3", {}, "n’a trouvé aucune paire", {"overlaps": overlaps(LEAK)}, "1 image de test (0,5 %)"),
    (
        "D3",
        {"audit": audit(counts=UNEVEN)},
        "le hasard suffit",
        {"audit": audit(counts=SHIFTED)},
        "**plus grands que",
    ),
    ("D5", {}, "aucune vignette ne partage", {"overlaps": overlaps(LEAK)}, "1 paire de vignettes"),
    (
        "D5",
        {"overlaps": overlaps(LEAK)},
        "deux splits. ",
        {"overlaps": overlaps(LEAK, overlap(tile(0), tile(1, label=3), 0.9))},
        "**1 porte deux étiquettes",
    ),
    ("D5", {}, "Rien n’impose", {"overlaps": overlaps(LEAK)}, "que 0,5 % du test"),
    (
        "D5",
        {},
        "sans donnée.",
        {"audit": audit(faint=10, faint_by_class=(0, 9, 1) + (0,) * 7)},
        "10 presque unies (1 %, surtout Forest)",
    ),
    ("D9", {}, "cette amplitude. -", {"audit": audit(centring=CENTRED_RIVER)}, "River est une"),
    ("D5", {}, "le bleu", {"audit": audit(channel_mean=(0.5, 0.3, 0.3))}, "clair est le rouge"),
    ("D5", {}, "aucun pixel sans", {"audit": audit(nodata=2)}, "2 images avec au moins un pixel"),
    ("D6", {}, "ni exactement centrées", {"pipeline": CENTRED}, "bien centrées"),
    ("D6", {}, "les laisse intactes", {"profile": "quick"}, "de 64 à 32 pixels divise le calcul"),
    (
        "D6",
        {},
        ", dans l’inter",
        {"pipeline": pipeline(value_max=3.0)},
        "**hors de** l’intervalle",
    ),
    ("D7", {}, "Vérification", {"pipeline": pipeline(fixed_order=False)}, "**Anomalie**"),
    ("D8", {}, "162 cadrages", {"values": {"augment.flip_probability": 0.0}}, " 81 cadrages"),
    ("D8", {}, "40 m au sol", {"audit": audit(**SYNTHETIC)}, "au plus 4 pixels ne doit"),
    ("D8", {}, "(vérifié)", {"pipeline": pipeline(reshuffled=False)}, "le même premier lot"),
    ("D8", {}, "(vérifié)", {"pipeline": pipeline(repeatable=False)}, "n’a pas redonné"),
    ("D9", {}, "restent petites", {"values": D9_STRONG}, "50 % atteignent la dispersion"),
    ("D10", {}, "sur 4 pixels", {"profile": "quick"}, "À 32 pixels de côté"),
    ("D11", {}, "**cohérents**", {"pipeline": pipeline(input_shape=(3, 32, 32))}, "**incohérents"),
    ("D11", {}, "réduit à 24 images", {"pipeline": FEW}, "réduit à 36 images"),
    (
        "M0",
        {},
        "se valent",
        {"baselines": baselines(majority_validation=0.3)},
        "10,0 écarts-types",
    ),
    (
        "M0",
        {},
        "plus que la dispo",
        {"baselines": baselines(color_validation=0.41)},
        "incertitude",
    ),
    (
        "M0",
        {},
        "plus que la dispo",
        {"baselines": baselines(thumbnail_validation=0.9)},
        "plus que leur moyenne",
    ),
    ("M1", {}, "exactement", {"network": architecture(parameters=5)}, "**et non 1 149 770**"),
    ("M1", {}, "en voit 48", {"network": architecture(32)}, "**toutes** les variantes"),
    ("M1", {}, "en voit 48", {"network": architecture(128)}, "aucune variante"),
    ("S2.3", {}, "backward OK", {"initial": initial(lost=True)}, "nul ou non fini dans 1 tenseur"),
    ("M2", {}, "**cohérente**.", {"initial": initial(2.6)}, "**incohérente**"),
    ("M2", {}, "**cohérente**.", {"initial": initial(2.42)}, "**cohérente**, quoique"),
    ("M2", {}, "**cohérente**.", {"initial": initial(5.1, shift=2.8)}, "pour toutes les graines"),
    ("M2", {}, "1 biais de convolution", {"initial": initial(lost=True)}, "5 tenseurs sur 6**"),
    ("S3", {}, "arrêt dès que", {"overfit": overfit((2.0, 0.5))}, "le maximum prévu"),
    ("M3", {}, "Ce qui prouve", {"overfit": overfit((2.0, 0.5), 0.4)}, "n’est pas démontré"),
    (
        "M3",
        {},
        "Ce qui prouve",
        {"overfit": overfit((2.0, 0.05))},
        "il manque surtout des époques",
    ),
    ("M2", {}, "s’accorde avec", {"initial": initial(2.9, shift=0.6)}, "s’en écarte plus"),
    (
        "S3",
        {},
        "mêmes 1 000 valeurs",
        {"sanity": sanity(differing=7)},
        "**7 valeurs différentes**",
    ),
    ("S3", {}, "ne change aucun logit", {"sanity": sanity(mixed=0.2)}, "**change des logits**"),
    ("S3", {}, "50,0 % avec les images", {"sanity": sanity(seen_accuracy=0.1)}, "ne prouve pas"),
    ("M3", {}, "C’est la validation", {"shuffled": TIED}, "ne les départage pas"),
    (
        "M3",
        {},
        "fonctionne, pas que",
        {"shuffled": shuffled(known=0.5)},
        "Il les apprend moins bien",
    ),
]


@pytest.mark.parametrize(("name", "facts", "before", "other", "after"), CASES)
def test_the_sentence_follows_the_facts(name, facts, before, other, after):
    first, second = (_plain(say(name, **values)) for values in (facts, other))
    assert before in first and after not in first
    assert after in second and before not in second


def _plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def test_section_9_is_promised_only_where_it_measures():
    promise = "La section 9 mesure cet effet"
    assert promise in say("D3", {"separated": True}) and promise not in say("D3")
    spatial = say("D3", {"separated": True}, values={"data.split": "spatial"})
    assert promise not in spatial


def test_a_run_on_the_spatial_split_says_so():
    text = say("D3", values={"data.split": "spatial"})
    assert "découpage spatial" in text and "fuite" not in text
    assert "fuite" in say("D3") and "découpage spatial" not in say("D3")
