(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const CHARACTER_PX = 6.5;
  const LINE_PX = 16;
  const elements = document.querySelectorAll(".figure");
  // A title is not cut on a telephone: it is broken into lines of so many characters.
  const wrapped = (text, longest) => {
    const lines = [""];
    for (const word of text.split(" ")) {
      const line = `${lines.at(-1)} ${word}`.trim();
      if (line.length <= longest) lines[lines.length - 1] = line;
      else lines.push(word);
    }
    return lines.join("<br>");
  };
  // The first instant and the differences that follow it, as instants.
  const instants = (differences) => {
    let at = 0;
    return differences.map((difference) => (at += difference));
  };
  elements.forEach((element, place) => {
    element.textContent = "";
    const { data, layout } = figures[place];
    for (const trace of data) trace.x = instants(trace.x);
    // The numbers of an axis decide how wide its panel is: titles are wrapped once that is drawn.
    Plotly.newPlot(element, data, layout, config).then(() => {
      const longest = element.querySelector(".nsewdrag").getBoundingClientRect().width / CHARACTER_PX;
      const titles = layout.annotations.map((text) => (text.xref === "paper" ? wrapped(text.text, longest) : text.text));
      const raised = LINE_PX * (titles[0].split("<br>").length - 1);
      const annotations = layout.annotations.map((text, at) => text.xref === "paper"
        ? { ...text, text: titles[at], align: "left" } : { ...text, yshift: text.yshift + raised });
      return Plotly.relayout(element, { annotations, "margin.t": layout.margin.t + raised });
    });
  });
  const resize = (size) => elements.forEach((element) => Plotly.relayout(element, size));
  // Low enough that it fits on a page with the numbers above it, and leaves no half page empty where it does not.
  window.addEventListener("beforeprint", () => resize({ width: 680, height: 430, autosize: false }));
  window.addEventListener("afterprint", () => resize({ width: null, height: 860, autosize: true }));
})();
