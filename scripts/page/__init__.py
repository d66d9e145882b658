"""Reports as one HTML file: what a run found, to look at, to hover over, to print."""
