(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const elements = document.querySelectorAll(".figure");
  elements.forEach((element, place) => {
    element.textContent = "";
    Plotly.newPlot(element, figures[place].data, figures[place].layout, config);
  });
  const resize = (size) => elements.forEach((element) => Plotly.relayout(element, size));
  // A4 has room for the figure with the numbers below it.
  window.addEventListener("beforeprint", () => resize({ width: 680, height: 540, autosize: false }));
  window.addEventListener("afterprint", () => resize({ width: null, height: 860, autosize: true }));
})();
