"""EPP v2.4: a fee-aware, inventory-led spot market maker.

Imported as ``epp`` by tests, replay and report, and as ``controllers.epp`` inside Hummingbot; imports inside the
package are therefore relative.
"""
