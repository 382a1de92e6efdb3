"""Argo's own pages in a real browser, used by a script as a person would: the form, the graph, the report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs
from tests.browsers import Browser, driver

from imgflow_steps.records import keys
from imgflow_workflows.kube.port_forward import reachable

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster

IMAGES = 3
WELL = {"Succeeded", "Skipped", "Artifact", "Collapsed"}
# What a first visit shows over everything has been seen.
SEEN = """
localStorage['modal/ftu'] = '"dismissed"';
localStorage['modal/version'] = '"v4.0"';
localStorage['modal/feedback'] = String(Date.now() + 1e9);
localStorage['modal/ArtifactPanel'] = '"dismissed"';
"""
CLICK = """
const [selector, text] = arguments;
const found = [...document.querySelectorAll(selector)].find(one => one.textContent.trim() === text);
if (found) found.click();
return Boolean(found);
"""
FIELD = """
const label = [...document.querySelectorAll('.sliding-panel label')].find(one => one.textContent === arguments[0]);
label.parentNode.dataset.field = arguments[0];
"""
NODES = """
return [...document.querySelectorAll('.graph title')].map(one => {
    const node = one.parentNode.querySelector('.node');
    return [one.textContent.replace(/^.* [(]/, '').replace(/[)]$/, ''), node.className.baseVal.split(' ')[1]];
});
"""
NODE = """
const titles = [...document.querySelectorAll('.graph title')];
const found = titles.find(one => one.textContent.endsWith(`(${arguments[0]})`));
found.parentNode.querySelector('.node').dispatchEvent(new MouseEvent('click', {bubbles: true}));
"""
SETTLED = """
[...document.querySelectorAll('.graph title')].some(one => one.textContent.endsWith('(report)'))
    && !document.querySelector('.graph .node.Running, .graph .node.Pending')
"""
# The first time an explanation stands before the artifact, with a link that goes on.
OPENED = """(() => {
const panel = document.querySelector('.workflow-details__step-info');
panel?.querySelector('p a')?.click();
return panel?.querySelector('iframe');
})()"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with reachable("http://argo-server.argo.svc:2746") as where:
        yield where


@pytest.fixture
def browser(server: str) -> Iterator[Browser]:
    with driver() as found:
        window = Browser(found, 1400, dark=False)
        window.open(server)
        window.run(SEEN)
        yield window
        window.close()


def click(browser: Browser, selector: str, text: str) -> None:
    browser.until(f"(() => {{ {CLICK} }})(...arguments)", selector, text)


def look(browser: Browser, name: str) -> None:
    if folder := os.environ.get("IMGFLOW_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"argo-{name}.png")


def submitted(browser: Browser, municipality: str, layout: str) -> str:
    """Fill in the form of the WorkflowTemplate and send it; the Workflow whose page comes then."""
    click(browser, "button", "Submit")
    browser.until("document.querySelector('.sliding-panel--opened label')")
    for field in ("municipality", "layout"):
        browser.run(FIELD, field)
    browser.type("[data-field=municipality] textarea", keys.encode(municipality))
    browser.run("document.querySelector('[data-field=layout] .select__value').click()")
    click(browser, "[data-field=layout] .select__option", layout)
    look(browser, f"form-{layout}")
    click(browser, ".sliding-panel--opened button", "Submit")
    browser.until("location.pathname.startsWith('/workflows/')")
    return str(browser.run("return location.pathname")).rpartition("/")[2]


@pytest.mark.parametrize("layout", ["fused", "steps"])
def test_a_run_is_started_by_the_form_followed_in_the_graph_and_its_report_read(
    place: Place, server: str, browser: Browser, layout: str
) -> None:
    municipality = f"Pages of Argo, {layout}"
    for i in range(IMAGES):
        place.store.write(f"{keys.images(municipality)}{i}.jpg", photographs.jpeg(i))
    browser.open(f"{server}/workflow-templates/{place.namespace}/imgflow")

    name = submitted(browser, municipality, layout)

    browser.until("document.querySelector('.graph .node')")
    progress = place.ended(name)["status"]["progress"]
    browser.until(SETTLED)
    nodes = dict(browser.run(NODES))
    assert set(nodes.values()) <= WELL, nodes
    steps = {"scale", "grayscale", "infer"}
    assert {"list", "collect", "report", *(steps if layout == "steps" else {"fused(0:00000)"})} <= nodes.keys()
    assert nodes["fused" if layout == "steps" else "steps"] == "Skipped"
    look(browser, f"graph-{layout}")

    browser.run(NODE, name)
    done, of = progress.split("/")  # Argo reads it every few seconds, and counts a pod that is done before as 1
    assert done == of
    said = f"PROGRESS{progress}"
    browser.until("document.querySelector('.workflow-node-info')?.textContent.includes(arguments[0])", said)

    browser.run(NODE, "report")
    browser.until(OPENED)
    browser.enter(".workflow-details__step-info iframe")
    browser.until("document.querySelector('h1') && [...document.images].every(one => one.complete)")
    look(browser, f"report-{layout}")
    assert browser.run("return document.querySelector('h1').textContent") == municipality
    assert "succeeded" in browser.run("return document.body.textContent")
