"""Reports on runs: tables, curves, figures and a page. Nothing here prints, and nothing imports torch.

formatting    numbers, times and names as they are shown
headings      the columns of a comparison, their cells and numbers
rounding      what rounding does to a run's readings
probe_sections  what probes measured, and its charts
findings      the content of a report, in whatever form it is written
channels      which axis is shown by panels, colours, dashes and the x axis
export        CSV, Markdown, LaTeX, JSON
terminal      for a terminal
figures       for papers
page          one HTML file that opens offline
exporters     runs as TensorBoard, MLflow and Parquet readers have them
notebook      runs, groups and verdicts as they show themselves in a notebook
"""
