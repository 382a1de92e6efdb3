"""imgflow for notebooks and programs: submit runs, and have their results as tables and pictures.

    import imgflow

    flow = imgflow.connect(store="./photos")
    flow.ingest("styles.csv", "Fashion")
    run = flow.submit("Fashion", steps="scale:512x512,infer", where="season = 'Summer'")
    run.results(where="found_sharpness > 2")

    imgflow.Service("http://127.0.0.1:8080").process("in.jpg", steps="scale:50%").save("out.jpg")

Settings are those of the command line, and so are the errors: an ``ImgflowError`` says what happened and what to do.
"""

from imgflow.answers import Answers, Plan, Preview
from imgflow.dataset import Dataset
from imgflow.flow import Flow, connect
from imgflow.run import Run
from imgflow.sheet import ContactSheet, contact_sheet
from imgflow.view import Report
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.remote import Processed, Service

__all__ = [
    "Answers",
    "ContactSheet",
    "Dataset",
    "Flow",
    "ImgflowError",
    "Plan",
    "Preview",
    "Processed",
    "Report",
    "Run",
    "Service",
    "connect",
    "contact_sheet",
]
