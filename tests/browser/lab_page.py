"""A hand that moves a page of JupyterLab, by its commands and the mouse."""

import time
from contextlib import contextmanager

from lab_server import PATIENCE

OPEN = """async ([path, kernel]) => {
  const wanted = kernel ? {path, kernel: {id: kernel}} : {path};
  const panel = await jupyterapp.commands.execute('docmanager:open', wanted);
  await panel.context.ready;
  await panel.sessionContext.ready;
  jupyterapp.shell.activateById(panel.id);
  for (const cell of panel.content.widgets) cell.node.dataset.cell = cell.model.id;
  return panel.sessionContext.session.kernel.id;
}"""
RUN = """([id, wait]) => {
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.deselectAll();
  notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.id === id);
  const done = jupyterapp.commands.execute('notebook:run-cell').then(() => null);
  return wait ? done : null;
}"""
OUTPUTS = """() => jupyterapp.shell.currentWidget.content.widgets.flatMap(cell =>
  (cell.model.toJSON().outputs || []).map(output => ({cell: cell.model.id, ...output})))"""
WRITE = """([id, old, text]) => {
  const widgets = jupyterapp.shell.currentWidget.content.widgets;
  const source = widgets.find(cell => cell.model.id === id).model.sharedModel;
  if (!source.getSource().includes(old)) throw new Error(`no ${old} in ${id}`);
  source.setSource(source.getSource().replace(old, text));
}"""
CLOSE = r"""async () => {
  const panel = jupyterapp.shell.currentWidget;
  const code = "import ipywidgets; ipywidgets.Widget.close_all()\n%reset -f";
  await panel.sessionContext.session.kernel.requestExecute({code, silent: true}).done;
  await panel.context.save();
  panel.dispose();
}"""
LOOK = """async cell => {
  const drawn = [...cell.querySelectorAll('.jp-OutputArea-output :is(img, .line)')];
  if (drawn.some(node => node.tagName === 'IMG' && !node.naturalWidth)) return null;
  const seen = drawn.map(async node => {
    if (node.tagName !== 'IMG') return node.outerHTML;
    const bytes = await (await fetch(node.src)).arrayBuffer();
    const hash = await crypto.subtle.digest('SHA-256', bytes);
    return [...new Uint8Array(hash)].join();
  });
  return (await Promise.all(seen)).join(' ');
}"""  # null while a picture is on its way


class Lab:
    def __init__(self, page, address):
        self.page, self._kernel = page, None
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        page.wait_for_function("window.jupyterapp")
        page.evaluate("jupyterapp.restored.then(() => null)")

    @contextmanager
    def notebook(self, name):
        self._kernel = self.page.evaluate(OPEN, [f"notebooks/{name}.ipynb", self._kernel])
        try:
            yield self
        finally:
            self.page.evaluate(CLOSE)

    def menu(self, *path):
        first, *between, last = path
        self.page.locator("#jp-MainMenu").get_by_text(first, exact=True).click()
        for name in between:
            self.entry(name).hover()
        self.entry(last).click()

    def download(self, *path):
        with self.page.expect_download() as got:
            self.menu(*path)
        return got.value

    def entry(self, name):
        return self.page.locator(".lm-Menu-item:visible").get_by_text(name, exact=True)

    def run_all(self):
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells').then(() => 0)")

    def run(self, cell, wait=True):
        self.page.evaluate(RUN, [cell, wait])

    def interrupt(self):
        command = "notebook:interrupt-kernel"
        self.page.evaluate(f"jupyterapp.commands.execute('{command}').then(() => 0)")

    def write(self, cell, old, text):
        self.page.evaluate(WRITE, [cell, old, text])

    def outputs(self, cell=None):
        found = self.page.evaluate(OUTPUTS)
        return [output for output in found if cell in (None, output["cell"])]

    def cell(self, name):
        return self.page.locator(f"[data-cell={name}]")

    def look(self, cell, before=None):
        deadline = time.monotonic() + PATIENCE
        while (seen := self.cell(cell).evaluate(LOOK)) in (None, "", before):
            assert time.monotonic() < deadline, f"{cell}: the picture does not change"
            self.page.wait_for_timeout(50)
        return seen

    def await_text(self, cell, text):
        self.cell(cell).locator(".jp-OutputArea-output").get_by_text(text).first.wait_for()

    def drag(self, cell, slider, share):
        track = self.cell(cell).locator(".noUi-target").nth(slider)
        track.scroll_into_view_if_needed()
        handle, box = track.locator(".noUi-handle").bounding_box(), track.bounding_box()
        height = handle["y"] + handle["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, height)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + share * box["width"], height, steps=3)
        self.page.mouse.up()

    def press(self, cell, name):
        self.cell(cell).locator(f"button:has-text('{name}'), button[title='{name}']").click()

    def choose(self, cell, box, row):
        self.cell(cell).locator("select").nth(box).select_option(index=row)
