from pipeline_src.data import tracking


def test_items_pass_unchanged_and_a_log_gets_occasional_lines(monkeypatch, capsys):
    assert list(tracking.track(iter("abc"), 3, "checking")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(tracking, "LOG_INTERVAL_S", 0.0)
    assert list(tracking.track(iter("ab"), 2, "checking")) == ["a", "b"]
    assert capsys.readouterr().err == "checking: 1/2 images\nchecking: 2/2 images\n"


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(tracking.track(iter("ab"), 2, "checking")) == ["a", "b"]
    assert "checking" in capsys.readouterr().err
