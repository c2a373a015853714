"""Ten files as they come from everyday programs, each read with nothing said but its target."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.datasets.tables.column import Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.text_files import read_text

NUMBER, TEXT = Form("number"), Form("text")

FILES = {
    "Excel, German": (
        "Größe;Preis;Datum;Art\n1,75;1.234,50 €;31.12.2023;neu\n1,8;99 €;01.02.2023;alt\n;12,00 €;;neu\n".encode(
            "utf-8-sig"
        ),
        "Art",
        {"Größe": Form("number", "decimal comma"), "Preis": Form("number", "€, decimal comma")},
        [[1.75, 1234.5], [1.8, 99], [np.nan, 12]],
    ),
    "Excel, Unicode text": (
        "height\tweight\tsex\n1.75\t80 kg\tM\n1.8\t77 kg\tF\n".encode("utf-16"),
        "sex",
        {"height": NUMBER, "weight": Form("number", "kg")},
        [[1.75, 80], [1.8, 77]],
    ),
    "bank, US": (
        b"Date,Description,Amount,Balance\r\n"
        b'12/31/2023,"Smith, J.","$1,234.50","$5,000.00"\r\n'
        b'01/05/2024,Rent,($900.00),"$4,100.00"\r\n',
        "Description",
        {"Amount": Form("number", "$, decimal point"), "Balance": Form("number", "$, decimal point")},
        [[1234.5, 5000], [-900, 4100]],
    ),
    "pandas, with its index": (
        b",length,width,species\n0,5.1,3.5,setosa\n1,7.0,3.2,versicolor\n",
        "species",
        {"column 1": NUMBER, "length": NUMBER, "width": NUMBER},
        [[0, 5.1, 3.5], [1, 7, 3.2]],
    ),
    "UCI, without a header": (
        b"39, State-gov, 77516, <=50K\n50, Private, 83311, >50K\n38, Private, 215646, <=50K\n",
        "x3",
        {"x0": NUMBER, "x2": NUMBER},
        [[39, 77516], [50, 83311], [38, 215646]],
    ),
    "UCI, in columns": (
        b'18.0   8   307.0\t"chevrolet chevelle"\n15.0   8   ?\t"buick skylark"\n',
        "x3",
        {"x0": NUMBER, "x1": NUMBER, "x2": NUMBER},
        [[18, 8, 307], [15, 8, np.nan]],
    ),
    "R, write.table": (
        b'"mpg" "cyl" "gear"\n"Mazda RX4" 21 6 "four"\n"Datsun 710" 22.8 4 NA\n',
        "gear",
        {"mpg": NUMBER, "cyl": NUMBER},
        [[21, 6], [22.8, 4]],
    ),
    "R, write.csv2": (
        b'"mpg";"vs";"t"\n21,5;TRUE;"a"\n22;FALSE;"b"\nNA;NA;"a"\n',
        "t",
        {"mpg": Form("number", "decimal comma"), "vs": Form("boolean", "true/false")},
        [[21.5, 1], [22, 0], [np.nan, np.nan]],
    ),
    "a logger": (
        b"# logger 7, version 1.2\n# started 2023\n#time,temp,state\n14:05,20.5 \xc2\xb0C,on\n14:10,--,off\n",
        "state",
        {"time": Form("date", "time"), "temp": Form("number", "°C")},
        [[845 / 1440, 20.5], [850 / 1440, np.nan]],
    ),
    "a survey": (
        b"Timestamp,Do you smoke?,Age,Income,Do you smoke?,Score\n"
        b"2023-01-05T10:00:00Z,Yes,31,1.2k,no,3\n2023-01-06T12:00:00Z,No,n/a,3k,yes,4\n",
        "Score",
        {"Age": NUMBER, "Income": NUMBER, "Do you smoke?.1": Form("boolean", "yes/no")},
        [[31, 1200, 0], [np.nan, 3000, 1]],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_everyday_files(tmp_path, name):
    content, target, forms, rows = FILES[name]
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    table = read_text(path, target, None, Dialect())
    found = {each.name: each for each in table.columns}
    assert {each: found[each].form for each in forms} == forms
    np.testing.assert_allclose(np.column_stack([found[each].values for each in forms]), rows)
    assert len(table.target_values) == len(rows) == table.rows
    again = read_text(path, None, {each.name: each.form for each in table.columns}, Dialect())
    assert [each.form for each in again.columns] == [each.form for each in table.columns]
    for one, other in zip(again.columns, table.columns, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one.texts == other.texts
