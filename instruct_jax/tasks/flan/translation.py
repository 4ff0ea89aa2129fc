"""Translation: a sentence said again in another language."""

from collections.abc import Mapping

from instruct_jax.tasks.flan import translation_wordings
from instruct_jax.tasks.flan.dataset import FlanDataset, renamed
from instruct_jax.text.templates import Template

CLUSTER = "translation"

_ALL = {"train": "train", "validation": "validation", "test": "test"}


def _dataset(
    name: str,
    tfds: str,
    languages: tuple[str, str],
    templates: tuple[Template, ...],
    reference: str,
    splits: Mapping[str, str] = _ALL,
    features: tuple[str, str] | None = None,
) -> FlanDataset:
    """A dataset of pairs of sentences, the source's language first; TFDS names features by language, or as `features` says."""
    source, target = features or languages
    return FlanDataset(
        name,
        CLUSTER,
        tfds,
        ("source", "target"),
        templates,
        record=renamed(source=source, target=target),
        splits=splits,
        metrics=("bleu",),
        language=languages[0],
        reference=reference,
    )


_NEWS = translation_wordings.news
_WMT14 = "Bojar et al. 2014, Findings of the Workshop on Statistical Machine Translation"
_WMT16 = "Bojar et al. 2016, Findings of the Conference on Machine Translation"
_WMT17 = "Bojar et al. 2017, Findings of the Conference on Machine Translation"
_WMT19 = "Barrault et al. 2019, Findings of the Conference on Machine Translation"
_PARACRAWL = "Esplà-Gomis et al. 2019"
_TED = "Qi et al. 2018, arXiv:1804.06323"
_FLORES = "Guzmán et al. 2019, arXiv:1902.01382"

_TRAIN_ONLY = {"train": "train"}
_EVALUATION_ONLY = {"validation": "validation", "test": "test"}

DATASETS = (
    _dataset("wmt14_fr_en", "wmt14_translate/fr-en:1.0.0", ("fr", "en"), _NEWS("French"), _WMT14),
    _dataset("wmt16_cs_en", "wmt16_translate/cs-en:1.0.0", ("cs", "en"), _NEWS("Czech"), _WMT16),
    _dataset("wmt16_de_en", "wmt16_translate/de-en:1.0.0", ("de", "en"), _NEWS("German"), _WMT16),
    _dataset("wmt16_fi_en", "wmt16_translate/fi-en:1.0.0", ("fi", "en"), _NEWS("Finnish"), _WMT16),
    _dataset("wmt16_ro_en", "wmt16_translate/ro-en:1.0.0", ("ro", "en"), _NEWS("Romanian"), _WMT16),
    _dataset("wmt16_ru_en", "wmt16_translate/ru-en:1.0.0", ("ru", "en"), _NEWS("Russian"), _WMT16),
    _dataset("wmt16_tr_en", "wmt16_translate/tr-en:1.0.0", ("tr", "en"), _NEWS("Turkish"), _WMT16),
    _dataset("wmt17_zh_en", "wmt17_translate/zh-en:1.0.0", ("zh", "en"), _NEWS("Chinese"), _WMT17),
    _dataset(
        "wmt19_fr_de",
        "wmt19_translate/fr-de:1.0.0",
        ("fr", "de"),
        _NEWS("French", "German"),
        _WMT19,
        splits={"train": "train", "validation": "validation"},
    ),
    _dataset(
        "para_crawl_enes",
        "para_crawl/enes:1.2.0",
        ("es", "en"),
        translation_wordings.web_pages("Spanish"),
        _PARACRAWL,
        splits=_TRAIN_ONLY,
    ),
    _dataset(
        "para_crawl_enda",
        "para_crawl/enda:1.2.0",
        ("da", "en"),
        translation_wordings.web_pages("Danish"),
        _PARACRAWL,
        splits=_TRAIN_ONLY,
    ),
    _dataset(
        "ted_pt_en",
        "ted_hrlr_translate/pt_to_en:1.0.0",
        ("pt", "en"),
        translation_wordings.talks("Portuguese"),
        _TED,
    ),
    _dataset(
        "ted_gl_en",
        "ted_hrlr_translate/gl_to_en:1.0.0",
        ("gl", "en"),
        translation_wordings.talks("Galician"),
        _TED,
    ),
    _dataset(
        "flores_ne_en",
        "flores/neen:1.2.0",
        ("ne", "en"),
        translation_wordings.encyclopedias("Nepali"),
        _FLORES,
        splits=_EVALUATION_ONLY,
    ),
    _dataset(
        "flores_si_en",
        "flores/sien:1.2.0",
        ("si", "en"),
        translation_wordings.encyclopedias("Sinhala"),
        _FLORES,
        splits=_EVALUATION_ONLY,
    ),
    _dataset(
        "mtnt_fr_en",
        "mtnt/fr-en:1.0.0",
        ("fr", "en"),
        translation_wordings.posts("French"),
        "Michel and Neubig 2018, arXiv:1809.00388",
        splits={"train": "train", "validation": "valid", "test": "test"},
        features=("src", "dst"),
    ),
    _dataset(
        "opus_medical_de_en",
        "opus/medical:0.1.0",
        ("de", "en"),
        translation_wordings.leaflets("German"),
        "Tiedemann 2012",
        splits=_TRAIN_ONLY,
    ),
)
