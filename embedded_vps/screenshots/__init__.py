"""The pictures of the dashboards in docs/: ``make screenshots`` takes them of the converged embedded VPS.

Grafana's server is in no package registry, its front-end's parts are: ``front_end/`` draws the provisioned dashboards
with them, from what the VPS's Prometheus holds, and Chromium takes the pictures. What Grafana does not publish (the
page around the panels, the state timeline) is drawn by ``front_end/page.jsx`` itself.
"""
