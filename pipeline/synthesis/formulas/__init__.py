"""Random formulas: expression trees and the grammar that grows them."""
