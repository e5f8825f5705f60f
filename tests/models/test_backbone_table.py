"""The committed table of backbones: complete, true to timm, and readable without torch."""

import pytest

from pipeline_src.errors import InputError
from pipeline_src.models.backbones import generate_table
from pipeline_src.models.backbones.table import TABLE, lookup, lookup_architecture, read_table

NEEDED = [
    "resnet50.tv_in1k",
    "resnet50.a1_in1k",
    "resnet101.tv_in1k",
    "resnet101.a1h_in1k",
    "resnet101.gluon_in1k",
    "resnet101c.gluon_in1k",
    "resnet50c.gluon_in1k",
    "resnet18.tv_in1k",
    "resnet18.a1_in1k",
    "resnet34.tv_in1k",
    "resnet34.a1_in1k",
    "resnet152.tv_in1k",
    "resnet152.a1_in1k",
    "swin_tiny_patch4_window7_224.ms_in1k",
    "swin_small_patch4_window7_224.ms_in1k",
    "swin_base_patch4_window7_224.ms_in1k",
    "twins_svt_small.in1k",
    "twins_svt_base.in1k",
    "twins_svt_large.in1k",
    "convnext_tiny.fb_in1k",
    "convnext_small.fb_in1k",
    "convnext_base.fb_in1k",
    "mobilenetv2_100.ra_in1k",
]


def test_table_has_not_drifted_from_timm() -> None:
    assert TABLE.read_text(encoding="utf-8") == generate_table.generate()


def test_check_reports_a_drift(tmp_path, monkeypatch, capsys) -> None:
    drifted = tmp_path / "table.csv"
    drifted.write_text(TABLE.read_text(encoding="utf-8").replace("mit", "gpl"), encoding="utf-8")
    monkeypatch.setattr(generate_table, "TABLE", drifted)
    monkeypatch.setattr(generate_table, "generate", lambda: TABLE.read_text(encoding="utf-8"))
    monkeypatch.setattr("sys.argv", ["generate_table", "--check"])
    with pytest.raises(InputError, match="differs from timm"):
        generate_table.main()
    assert "-swin_tiny_patch4_window7_224.ms_in1k" in capsys.readouterr().out


@pytest.mark.parametrize("name", NEEDED)
def test_every_backbone_of_the_studies_is_listed(name: str) -> None:
    facts = lookup(name)
    assert facts.name == name
    assert len(facts.channels) == len(facts.strides) == len(facts.levels)
    assert facts.strides[-1] == 32
    assert facts.strides[0] == facts.stem_stride


def test_facts_of_the_default_backbone() -> None:
    facts = lookup("resnet50.tv_in1k")
    assert facts.channels == (64, 256, 512, 1024, 2048)
    assert facts.strides == (2, 4, 8, 16, 32)
    assert facts.levels == (1, 2, 3, 4, 5)
    assert facts.mean == (0.485, 0.456, 0.406)
    assert facts.input_size == (224, 224)
    assert facts.licence == "bsd-3-clause"
    # 25,557,032 with its classifier of 2048 x 1000 + 1000
    assert facts.parameters == 25_557_032 - 2_049_000
    assert facts.supports_output_stride
    assert not facts.out_norm


def test_patch_stems_and_out_norms_go_with_the_transformers_and_convnext() -> None:
    for facts in read_table().values():
        hierarchical = facts.family in ("swin", "twins", "convnext")
        assert facts.stem_stride == (4 if hierarchical else 2)
        assert facts.out_norm == hierarchical
        assert facts.supports_output_stride == (facts.family not in ("swin", "twins"))


def test_an_unknown_tag_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'resnet50c\.tv_in1k' is not a known weight tag; known: resnet50c"):
        lookup("resnet50c.tv_in1k")


def test_a_bare_name_is_no_tag_but_names_an_architecture() -> None:
    with pytest.raises(InputError, match=r"'mobilenetv2_100' has no weight tag; known: mobilenetv2_100\.ra"):
        lookup("mobilenetv2_100")
    assert lookup_architecture("mobilenetv2_100").channels == (16, 24, 32, 96, 320)
    assert lookup_architecture("resnet50.tv_in1k").architecture == "resnet50"


def test_an_unknown_name_lists_close_ones() -> None:
    with pytest.raises(InputError, match=r"unknown backbone 'resnet51.tv_in1k'; close: .*resnet50.tv_in1k"):
        lookup("resnet51.tv_in1k")
    with pytest.raises(InputError, match=r"unknown backbone 'swin_tinny'; close: .*swin_tiny_patch4"):
        lookup_architecture("swin_tinny")


def test_reading_the_table_and_the_rules_imports_no_torch(run_python) -> None:
    run_python(
        "import sys\n"
        "from pipeline_src.models.backbones.table import lookup\n"
        "from pipeline_src.models.fusion.dfp_options import check_depth\n"
        "check_depth(3, lookup('convnext_tiny.fb_in1k').stem_stride)\n"
        "assert not {'torch', 'timm', 'numpy', 'torchvision'} & sys.modules.keys()\n"
    )
