import { databaseFaults } from './database.ts'
import type { Fault } from './fault.ts'
import { lies } from './lies.ts'
import { allLinkFaults } from './links.ts'
import { machineFaults } from './machine.ts'
import { messageFaults } from './messages.ts'
import { processFaults } from './processes.ts'
import { rightFaults } from './rights.ts'

export const FAULTS: readonly Fault[] = [
  ...processFaults,
  ...databaseFaults,
  ...allLinkFaults,
  ...messageFaults,
  ...lies,
  ...machineFaults,
  ...rightFaults,
]
